"""What else could have happened: resampled paths, shocks and past spans put to any strategy, and what events did.

`resampling` draws, `session_blocks` and `volatility_paths` make minute bars of the draws, `shocks` bends bars,
`scenario_table` names what is tried, `stress` and `monte_carlo` trade it, `event_study` looks around dates.
Bars that no market made are called synthetic wherever they are shown.
"""
