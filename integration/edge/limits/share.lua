-- One share, by its one number: policies/shares.py, line by line. Times are microseconds.
local most, window, cost, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local each = math.floor(window / most)
local full_at = tonumber(redis.call('GET', KEYS[1]) or '0')
local full = math.max(full_at, now) + math.min(cost, most) * each
local wait = full - now - window
if wait > 0 then return {wait} end
if full > now then
  redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
end
return {0}
