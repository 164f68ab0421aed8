"""The soak, `script/test --soak`: everything at once under load, a fault a minute, and an independent verdict."""
