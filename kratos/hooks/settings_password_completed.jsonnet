// Traits are listed one by one: what is not listed never leaves Kratos.
local trait(of, name) = if std.objectHas(of, name) then of[name] else '';
local traits(of) = {
  email: trait(of, 'email'),
  username: trait(of, 'username'),
  first_name: trait(of, 'first_name'),
  last_name: trait(of, 'last_name'),
  display_name: trait(of, 'display_name'),
  pending_email: trait(of, 'pending_email'),
};
// The edge appends its attempt id to the address; "" when this came past the edge.
local attempt(url) =
  local parts = std.split(url, 'kleis_attempt=');
  if std.length(parts) == 2 then std.split(parts[1], '&')[0] else '';

function(ctx) {
  flow_id: ctx.flow.id,
  identity_id: ctx.identity.id,
  traits: traits(ctx.identity.traits),
  attempt: attempt(ctx.request_url),
}
