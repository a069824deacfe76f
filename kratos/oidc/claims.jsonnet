// Claims of an OpenID provider, as Kratos has normalised them, to the traits of a member. What a
// member could not be called is left out, and asked for, instead of refusing the person.
local claims = { email_verified: false } + std.extVar('claims');
local text(name) =
  if std.objectHas(claims, name) && std.isString(claims[name]) then std.stripChars(claims[name], ' ') else '';
local consists(of, allowed) =
  std.all([std.member(allowed, character) for character in std.stringChars(of)]);
local between(least, value, most) =
  local length = std.length(value);
  least <= length && length <= most;

local letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-';
local email = text('email');
local username = text('preferred_username');
local name = text('name');
local given = text('given_name');
local family = text('family_name');

{
  identity: {
    traits: {
      [if email != '' then 'email']: email,
      [if between(3, username, 30) && consists(username, letters) then 'username']: username,
      [if between(1, name, 50) && consists(name, letters + ' .') then 'display_name']: name,
      [if between(1, given, 100) then 'first_name']: given,
      [if between(1, family, 100) then 'last_name']: family,
    },
    // Only the provider's plain word counts: everything else proves the address by our mail.
    verified_addresses: if claims.email_verified == true && email != '' then [{ via: 'email', value: email }] else [],
  },
}
