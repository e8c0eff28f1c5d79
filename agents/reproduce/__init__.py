"""The claims of Matthews et al., "Kinetix" (2025), about general agents, each by one command."""
