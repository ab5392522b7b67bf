"""What once failed, and is a test for ever: scenario and blows, or the seed of a random day."""

SEEDS = (
    "edit-absent cut-lines@6",
    "edit-absent-hung empty-list@38",
    "guest-crashes-while-booting hangs-done@6",
    "guest-crashes-while-booting broken-from-now@7",
    "bridge-of-the-default-route hangs-from-now@7",
    "shutdown-hung hangs-from-now@19",
    "shutdown-hung hangs-done@41",
    "shutdown-deadline hangs-from-now@80",
    "shutdown-deadline twice@80",
    "shutdown-skip hangs-from-now@40",
    "daemon-restarts-while-stopping exit-1@45",
    "destroy-by-hand empty-list@1",
    "edit-staged-taken-back hangs-done@2",
    "xl-destroy-by-somebody broken-from-now@2",
)
RANDOM_SEEDS: tuple[int, ...] = (11, 30, 250, 314, 408, 614, 680, 769, 780, 980, 1043, 1090, 1191, 1212)
