// Traits are listed one by one: what is not listed never leaves Kratos.
local trait(of, name) = if std.objectHas(of, name) then of[name] else '';
local traits(of) = {
  email: trait(of, 'email'),
  username: trait(of, 'username'),
  first_name: trait(of, 'first_name'),
  last_name: trait(of, 'last_name'),
  display_name: trait(of, 'display_name'),
};
local verified(identity, email) = std.length([
  address
  for address in (if std.objectHas(identity, 'verifiable_addresses') && identity.verifiable_addresses != null then identity.verifiable_addresses else [])
  if address.verified && std.asciiLower(address.value) == std.asciiLower(email)
]) > 0;

function(ctx) {
  flow_id: ctx.flow.id,
  identity_id: ctx.identity.id,
  traits: traits(ctx.identity.traits),
  verified: verified(ctx.identity, ctx.identity.traits.email),
  pending_email: trait(ctx.identity.traits, 'pending_email'),
  pending_verified: verified(ctx.identity, trait(ctx.identity.traits, 'pending_email')),
}
