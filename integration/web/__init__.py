"""The pages people look at: rendered from Kratos' flows, without JavaScript."""
