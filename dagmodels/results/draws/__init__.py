"""What backends that draw hand to users: draws, their diagnostics, checks, pictures and stores."""
