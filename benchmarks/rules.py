"""Learning rules other than backpropagation, beside a loop over networks, member-steps per second, in one run.

    pip install -e '.[benchmark]'
    python benchmarks/rules.py --rule force        32 reservoirs of 500 units, passes of 300 time steps
    python benchmarks/rules.py --rule reinforce    32 GRUs of 48 units, 64 bandits of 4 arms and 100 pulls, Adam

Each contender runs in a process of its own, in turn, several rounds; the medians and their ratios are printed.

    cohort    this program: the default recipe in all lanes, as `train` runs it
    loop      one network at a time, as a script would: FORCE in NumPy (its products on all cores), REINFORCE in PyTorch
"""

import argparse
import json
from typing import Any

import numpy as np
from contenders import cohort_rate, in_turn, parsed, parser_of, print_ratios, rate_of

UNITS, HIDDEN, BATCH, ARMS, PULLS = 500, 48, 64, 4, 100


def zoo_of(rule: str, members: int) -> Any:
    from models import gru, reservoir
    from zoo import Training, Zoo
    from zoo.rules import force, reinforce
    from zoo.tasks import bandit, targets

    if rule == "force":
        parts = dict(task=targets.Task(), model=reservoir.Model(hidden=UNITS), rule=force.Rule())
        return Zoo("benchmark", **parts, training=Training(steps=10**9, batch=1), seeds=members)
    parts = dict(task=bandit.Task(arms=ARMS, steps=PULLS), model=gru.Model(hidden=HIDDEN), rule=reinforce.Rule())
    training = Training(learning_rate=1e-2, steps=10**9, batch=BATCH, clip=1.0)
    return Zoo("benchmark", **parts, training=training, seeds=members)


def force_loop(seconds: float) -> float:
    """A pass through a trial at a time, float32, no array made anew where it can be avoided."""
    draw = np.random.default_rng(0)
    weights = (1.5 * draw.standard_normal((UNITS, UNITS)) / np.sqrt(UNITS)).astype(np.float32)
    feedback = draw.uniform(-1, 1, UNITS).astype(np.float32)
    start = draw.uniform(-0.5, 0.5, UNITS).astype(np.float32)
    target = np.sin(np.arange(300) / 20).astype(np.float32)
    readout, inverse = np.zeros(UNITS, np.float32), np.eye(UNITS, dtype=np.float32)

    def once() -> int:
        x = start.copy()
        r = np.tanh(x)
        z = np.float32(r @ readout)
        for step in range(300):
            x = np.float32(0.9) * x + np.float32(0.1) * (r @ weights + z * feedback)
            r = np.tanh(x)
            z = np.float32(r @ readout)
            if step % 2 == 0:
                seen = inverse @ r
                k = seen / (1 + r @ seen)
                inverse[:] -= k[:, None] * seen
                readout[:] -= k * (z - target[step])
                z = np.float32(r @ readout)
        return 1

    return rate_of(once, seconds)


def reinforce_loop(seconds: float) -> float:
    """Episodes of 64 bandits at once, then backpropagation through the same pass; the better of one and all threads."""
    import torch

    def run(threads: int) -> float:
        torch.set_num_threads(threads)
        cell, policy = torch.nn.GRUCell(ARMS + 1, HIDDEN), torch.nn.Linear(HIDDEN, ARMS)
        value = torch.nn.Linear(HIDDEN, 1)
        optimizer = torch.optim.Adam([*cell.parameters(), *policy.parameters(), *value.parameters()], 1e-2)

        def once() -> int:
            chances = torch.rand(BATCH, ARMS)
            seen, state = torch.zeros(BATCH, ARMS + 1), torch.zeros(BATCH, HIDDEN)
            logs, entropies, values, rewards = [], [], [], []
            for _ in range(PULLS):
                state = cell(seen, state)
                log = torch.log_softmax(policy(state), -1)
                arm = torch.multinomial(log.detach().exp(), 1)
                reward = torch.bernoulli(chances.gather(1, arm))
                logs.append(log.gather(1, arm)[:, 0])
                entropies.append((log.exp() * log).sum(-1))
                values.append(value(state.detach())[:, 0])
                rewards.append(reward[:, 0])
                seen = torch.cat([torch.zeros(BATCH, ARMS).scatter(1, arm, 1.0), reward], 1)
            later, returns = torch.zeros(BATCH), []
            for reward in reversed(rewards):
                later = reward + 0.8 * later
                returns.append(later)
            better = torch.stack(returns[::-1]) - torch.stack(values)
            loss = -(torch.stack(logs) * better.detach()).mean() + 0.03 * torch.stack(entropies).mean()
            optimizer.zero_grad()
            (loss + (better**2).mean()).backward()
            torch.nn.utils.clip_grad_norm_(cell.parameters(), 1.0)
            optimizer.step()
            return 1

        return rate_of(once, seconds / 2)

    return max(run(threads) for threads in {1, torch.get_num_threads()})


def one_rate(name: str, arguments: argparse.Namespace) -> float:
    """The rate of one contender, in this process."""
    if name == "cohort":
        return cohort_rate(zoo_of(arguments.rule, arguments.members), arguments.seconds)
    return {"force": force_loop, "reinforce": reinforce_loop}[arguments.rule](arguments.seconds)


def main() -> None:
    parser = parser_of(__doc__, ("cohort",), ("loop",))
    parser.add_argument("--rule", choices=("force", "reinforce"), default="force")
    parser.add_argument("--members", type=int, default=32)
    arguments = parsed(parser)
    if arguments.here:
        print(json.dumps(one_rate(arguments.here, arguments)))
        return
    rates = in_turn(__file__, arguments, ("loop",), ("rule", "members"))
    print(f"{arguments.members} networks under {arguments.rule}")
    print_ratios(rates)


if __name__ == "__main__":
    main()
