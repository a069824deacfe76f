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
local addresses(of) = [
  {
    value: address.value,
    via: address.via,
    verified: address.verified,
    status: address.status,
    verified_at: if std.objectHas(address, 'verified_at') then address.verified_at else null,
  }
  for address in (if std.objectHas(of, 'verifiable_addresses') && of.verifiable_addresses != null then of.verifiable_addresses else [])
];

// `ctx.flow.identity` is the identity before the change, `ctx.identity` after it.
function(ctx) {
  flow_id: ctx.flow.id,
  identity_id: ctx.identity.id,
  traits: traits(ctx.identity.traits),
  traits_before: traits(ctx.flow.identity.traits),
  addresses_before: addresses(ctx.flow.identity),
}
