"""What the fixed points and trajectories of trained networks lead to, as graphs that no coordinates alter."""
