"""The sink SQL: tokens of all dialects that its drivers speak, the judgement, the drivers."""
