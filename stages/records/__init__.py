"""What both halves stand on: parameters, tables, atomic writes, progress."""
