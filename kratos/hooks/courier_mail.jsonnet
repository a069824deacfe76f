// A mail of Kratos' courier. Each template names its code and link differently.
local field(of, names) = std.join('', [of[name] for name in names if std.objectHas(of, name)]);

function(ctx) {
  local data = if std.objectHas(ctx, 'template_data') && ctx.template_data != null then ctx.template_data else {},
  local identity = if std.objectHas(data, 'identity') && data.identity != null then data.identity else {},
  recipient: ctx.recipient,
  template: ctx.template_type,
  subject: ctx.subject,
  body: ctx.body,
  identity_id: if std.objectHas(identity, 'id') then identity.id else null,
  code: field(data, ['verification_code', 'recovery_code', 'login_code', 'registration_code']),
  link: field(data, ['verification_url', 'recovery_url']),
}
