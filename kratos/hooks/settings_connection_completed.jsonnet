// A link ends with the provider's callback, whose address names it; an unlink is an ordinary submit.
local callback = '/self-service/methods/oidc/callback';
local path(url) = std.split(url, '?')[0];
local parts(url) = std.split(path(url), callback);
local named(url) =
  local behind = std.split(parts(url)[1], '/');
  if std.length(behind) == 2 then behind[1] else '';
local is_linked(url) = std.length(parts(url)) == 2;

function(ctx) {
  flow_id: ctx.flow.id,
  identity_id: ctx.identity.id,
  is_linked: is_linked(ctx.request_url),
  provider: if is_linked(ctx.request_url) then named(ctx.request_url) else '',
  // The same however often this is told: a callback's address is used once.
  occasion: std.md5(ctx.request_url),
}
