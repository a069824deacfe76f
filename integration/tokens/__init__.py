"""Access tokens that services verify offline, and refresh tokens that betray a thief."""
