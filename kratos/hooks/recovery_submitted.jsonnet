function(ctx) {
  flow_id: ctx.flow.id,
  identity_id: ctx.identity.id,
}
