"""Everything that was found out about a search's winner beside its result in sample: values only.

Who computes them: ``walkforward`` the windows, ``overfit`` the probabilities, ``surrogates`` the shuffled data,
``stress`` costs, plateau and look-ahead, ``fan`` the drawdowns that chance has in store, ``study`` all of it.
None means that the data cannot say it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from palmbot.core.types import Float64Array, Int64Array, Params
from palmbot.model import Trade
from palmbot.research.bootstrap import Band

COST_FACTORS = (0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True, slots=True)
class Tally:
    """The numbers of some trades. ``max_drawdown_pct`` is from marks, as ``statistics`` has it."""

    trades: int
    win_rate: float | None
    profit_factor: float | None  # None where no trade lost
    max_drawdown_pct: float
    net_minor: int
    drawdown_at_1pct_pct: float | None = None  # of closed trades, as if each had risked 1 %; None: risk unknown
    geometry_win_rate: float | None = None  # what stop and target alone would win, as ``statistics`` has it


@dataclass(frozen=True, slots=True)
class Curve:
    """Equity bar by bar, shape (n,): at each bar's close, and the lowest at any mark of it."""

    ts_ms: Int64Array
    equity_minor: Int64Array
    low_minor: Int64Array


NO_CURVE = Curve(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))


@dataclass(frozen=True, slots=True)
class Window:
    """One step of a walk-forward: what was best in training, and what it came to in the bars after.

    Bars are indices, ends excluded. Between training and test lie the purged bars, in which a training trade could
    still have been open, and then the embargoed ones, in which what is alike from bar to bar fades. ``params`` None:
    nothing in training had a score, so the test was sat out.
    """

    train_from: int
    train_to: int
    test_from: int
    test_to: int
    test_from_ms: int
    test_to_ms: int
    params: Params | None
    train: Tally | None
    test: Tally
    embargoed: int = 0


@dataclass(frozen=True, slots=True)
class WalkForward:
    """All steps of one kind, and their test trades taken together: one account, its balance carried on.

    Attributes:
        halts: (time in ms, reason) of every breaker trip out of sample.
        stopped_out_ms: 0, or when a broker would have closed for lack of margin: nothing is traded after it.
    """

    kind: str  # "rolling" or "anchored"
    windows: tuple[Window, ...]
    trades: tuple[Trade, ...]  # out of sample, in order of time
    tally: Tally
    profit_factor_band: Band | None  # 90 %: its low end is the 5 % bound
    curve: Curve = field(default=NO_CURVE, repr=False)
    start_balance_minor: int = 0
    halts: tuple[tuple[int, int], ...] = ()
    stopped_out_ms: int = 0


@dataclass(frozen=True, slots=True)
class CostStress:
    """The winner and the walk-forward with every cost times ``factor``."""

    factor: float
    in_sample: Tally
    out_of_sample: Tally


@dataclass(frozen=True, slots=True)
class Plateau:
    """The winner beside its neighbours in the grid: a lonely peak is luck."""

    score: float
    neighbours: int
    median_score: float | None
    median_profit_factor: float | None


@dataclass(frozen=True, slots=True)
class Fan:
    """What chance has in store: the winner's trades drawn again, in R, at 1 % and at the user's own risk a trade.

    Attributes:
        levels: the quantiles told, for instance 0.05, 0.5, 0.95.
        equity: multiples of the start after each trade, shape (levels, trades), at the user's own risk.
        drawdown_pct: at the user's own risk, one for each of ``levels``.
        drawdown_at_1pct_pct: at 1 % risk a trade.
    """

    levels: tuple[float, ...]
    equity: Float64Array
    drawdown_pct: tuple[float, ...]
    drawdown_at_1pct_pct: tuple[float, ...]
    risk_fraction: float


@dataclass(frozen=True, slots=True)
class Surrogates:
    """The same search over data that hold no edge. ``p`` = (1 + those at least as good) / (1 + all)."""

    kind: str  # "shuffled" or "sign-flipped"
    count: int
    p: float
    scores: Float64Array  # best score of each, shape (count,)
    profit_factors: Float64Array  # of that best, shape (count,)


@dataclass(frozen=True, slots=True)
class Target:
    """One of the original plan's three targets, in sample and out of sample."""

    name: str  # "profit factor > 1.5", ...
    in_sample: float | None
    out_of_sample: float | None
    met_in_sample: bool
    met_out_of_sample: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """All of it. ``sharpe`` is a day's, not annualised; ``trials`` are those of the search."""

    trials: int
    trades: int
    sharpe: float | None
    probabilistic_sharpe: float | None  # that the true Sharpe is above 0
    deflated_sharpe: float | None
    expected_max_sharpe: float | None  # of as many trials without any edge
    track_record_min: float | None  # days that would be needed to believe the Sharpe at 95 %
    days: int
    pbo: float | None
    pbo_logits: Float64Array
    shuffled: Surrogates | None
    sign_flipped: Surrogates | None
    rolling: WalkForward | None
    anchored: WalkForward | None
    costs: tuple[CostStress, ...]
    plateau: Plateau | None
    fan: Fan | None
    sees_ahead: bool | None  # True: truncated data decided otherwise. A bug, never a result
    targets: tuple[Target, ...]
    trades_min: int = 0  # fewer trades than this give a combination no score
    trades_max: int = 0  # most that one combination made
    trades_usual: int | None = None  # median that ``trades_min`` was taken from; None: it was said


@dataclass(frozen=True, slots=True)
class Verdict:
    """``word`` is ROBUST, WEAK or NOISE; ``reasons`` are two or three sentences that a trader understands."""

    word: str
    reasons: tuple[str, ...]
