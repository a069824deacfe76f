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

function(ctx) {
  flow_id: ctx.flow.id,
  identity_id: ctx.identity.id,
  traits: traits(ctx.identity.traits),
}
