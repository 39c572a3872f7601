"""EM whose hidden values are drawn: binary units of too many joint states, latents of too many dimensions."""
