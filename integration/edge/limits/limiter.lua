-- One decision about several counters at once. The rules (`rule_of` the letter after the prefix)
-- are put in front of this text. What it decides is policies/limits.py, line by line; the reasons
-- are there. Times are milliseconds.
local BUSY, MARK, NO_MARK = 1000, 6, string.rep('\0', 6)
local LETTER, HOUR = 4, 3600000
local call, pack, read, max = redis.call, struct.pack, struct.unpack, math.max

local function moment(text)
  if text ~= '' then return tonumber(text) end
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function load(key, text)
  local record = {rule = rule_of(string.sub(key, LETTER, LETTER)), key = key,
    blocked = 0, level = 0, failures = {}, marks = {}, leases = {}}
  if not text then return record end
  local failures, leases, at
  record.blocked, record.level, failures, leases, at = read('<I6I1I2I2', text)
  for i = 1, failures do record.failures[i], at = read('<I6', text, at) end
  if record.rule.keep > 0 then
    for i = 1, failures do
      record.marks[i] = string.sub(text, at, at + MARK - 1)
      at = at + MARK
    end
  end
  for i = 1, leases do record.leases[i], at = read('<I6', text, at) end
  return record
end

local function store(record, now)
  local rule, failures, leases = record.rule, record.failures, record.leases
  local last = 0
  if record.level > 0 then last = record.blocked + rule.tiers[1][2] end
  if #failures > 0 then last = max(last, failures[#failures] + max(rule.window, rule.keep)) end
  for _, lease in ipairs(leases) do last = max(last, lease) end
  if last <= now then
    call('DEL', record.key)
    return
  end
  local parts = {pack('<I6I1I2I2', record.blocked, record.level, #failures, #leases)}
  for _, at in ipairs(failures) do parts[#parts + 1] = pack('<I6', at) end
  for _, mark in ipairs(record.marks) do parts[#parts + 1] = mark end
  for _, at in ipairs(leases) do parts[#parts + 1] = pack('<I6', at) end
  call('SET', record.key, table.concat(parts), 'PX', last - now)
end

local function after(moments, start)
  local found = 0
  for _, at in ipairs(moments) do if at > start then found = found + 1 end end
  return found
end

local function wait_for(record, now)
  if record.blocked > now then return record.blocked - now end
  local rule, failures = record.rule, record.failures
  local running, longest = after(record.leases, now), 0
  for _, tier in ipairs(rule.tiers) do
    local room = tier[1] - after(failures, now - tier[2])
    if rule.block > 0 and room < 1 then room = 1 end
    if running >= room then
      local wait = BUSY
      if room < 1 then wait = failures[#failures - tier[1] + 1] + tier[2] - now end
      longest = max(longest, wait)
    end
  end
  return longest
end

local function reserve(now, lease, ordinary, pass)
  local texts = call('MGET', unpack(KEYS))
  local first, last, proven = pass + 1, pass + ordinary, 0
  if pass == 1 and texts[1] then
    first, last, proven = last + 1, #KEYS, 1
  end
  local records, longest, refusing = {}, 0, 0
  for i = first, last do
    -- Most have no record yet, and then there is room.
    if texts[i] then
      local record = load(KEYS[i], texts[i])
      records[i] = record
      local wait = wait_for(record, now)
      if wait > longest then longest, refusing = wait, i - first + 1 end
    end
  end
  if longest > 0 then return {longest, refusing, proven, 0} end
  local only_this = pack('<I6I1I2I2I6', 0, 0, 0, 1, now + lease)
  for i = first, last do
    local record = records[i]
    if record then
      local running = {}
      for _, at in ipairs(record.leases) do if at > now then running[#running + 1] = at end end
      running[#running + 1] = now + lease
      record.leases = running
      store(record, now)
    else
      call('SET', KEYS[i], only_this, 'PX', lease)
    end
  end
  return {0, 0, proven, now + lease}
end

local function release(record, lease_end)
  for i, at in ipairs(record.leases) do
    if at == lease_end then
      table.remove(record.leases, i)
      return
    end
  end
end

local function completed(rule, failures, place)
  local limit, window = rule.tiers[1][1], rule.tiers[1][2]
  for last = math.min(#failures, place + limit - 1), max(place, limit), -1 do
    if failures[last] - failures[last - limit + 1] < window then return failures[last] end
  end
end

local function count(record, at, mark)
  local rule, failures = record.rule, record.failures
  local place = #failures + 1
  while place > 1 and failures[place - 1] > at do place = place - 1 end
  table.insert(failures, place, at)
  local last = rule.block > 0 and completed(rule, failures, place)
  if rule.keep > 0 then table.insert(record.marks, place, mark ~= '' and mark or NO_MARK) end
  while #failures > rule.most do
    table.remove(failures, 1)
    if rule.keep > 0 then table.remove(record.marks, 1) end
  end
  if not last then return 0 end
  if last >= record.blocked + rule.window then record.level = 0 end
  local duration = math.min(rule.block * 2 ^ record.level, rule.longest)
  record.level = math.min(record.level + 1, 30)
  record.blocked = max(record.blocked, last + duration)
  return duration
end

local function is_repeated(record, now, mark)
  if mark == '' or record.rule.keep == 0 then return false end
  local start = now - max(record.rule.window, record.rule.keep)
  for i, at in ipairs(record.failures) do
    if record.marks[i] == mark and at > start then return true end
  end
  return false
end

local function raise_alarm(now, account, most)
  local key = 'kl:g' .. string.format('%.0f', math.floor(now / HOUR))
  if call('PFADD', key, account) == 0 then return 0 end
  call('PEXPIRE', key, 2 * HOUR)
  if call('PFCOUNT', key) < most then return 0 end
  return call('SET', key .. '!', 1, 'NX', 'PX', 2 * HOUR) and 1 or 0
end

local function hold(now, lease_end)
  local texts = call('MGET', unpack(KEYS))
  for i, key in ipairs(KEYS) do
    local record = load(key, texts[i])
    record.leases[#record.leases + 1] = lease_end
    store(record, now)
  end
  return {}
end

local function settle(now, at, lease_end, verdict, mark, account, most)
  local result, repeated, failed = {0, 0}, false, false
  local texts = call('MGET', unpack(KEYS))
  for i, key in ipairs(KEYS) do
    local record = load(key, texts[i])
    local rule, failures = record.rule, record.failures
    release(record, lease_end)
    if i == 1 and verdict == 'counts' then
      repeated = is_repeated(record, at, mark)
      failed = #failures > 0 and failures[#failures] > at - max(rule.window, rule.keep)
    end
    local block = 0
    if verdict == 'counts' and not repeated and (failed or not rule.late) then
      block = count(record, at, mark)
    elseif verdict == 'forgives' and rule.forgives then
      record.blocked, record.level, record.failures, record.marks = 0, 0, {}, {}
    end
    store(record, now)
    result[#result + 1] = block
  end
  if repeated then result[1] = 1 end
  if verdict == 'counts' and not repeated and account ~= '' then
    result[2] = raise_alarm(now, account, most)
  end
  return result
end

local now = moment(ARGV[2])
if ARGV[1] == 'r' then
  return reserve(now, tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]))
end
if ARGV[1] == 'h' then return hold(now, tonumber(ARGV[3])) end
local at = now - tonumber(ARGV[8])
return settle(now, at, tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7]))
