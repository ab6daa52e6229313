"""Prints the tables of docs/search.md from the JSON of `search_bench choose` and `search_bench speed`.

    print_table.py bench/results/strategies.json bench/results/strategies-speed.json
"""

import json
import sys

SHORT = {"convolution": "conv", "dedispersion": "dedisp"}


def interval(difference):
    return f"{difference['mean']:+.3f} [{difference['low']:+.3f}, {difference['high']:+.3f}]"


def main():
    with open(sys.argv[1]) as file:
        scores = json.load(file)
    with open(sys.argv[2]) as file:
        speed = json.load(file)
    settings = sorted(scores["settings"], key=lambda setting: -setting["score"])
    spaces = list(settings[0]["spaces"])
    names = [f"{SHORT.get(name.split('/')[0], name.split('/')[0])} {name.split('/')[1]}" for name in spaces]
    print(f"| strategy | score | without own time | {' | '.join(names)} | to auto | to random |")
    print("|---|" + "---:|" * (len(names) + 4))
    for setting in settings:
        cells = [f"{setting['spaces'][space]:.2f}" for space in spaces]
        print(f"| `{setting['setting']}` | {setting['score']:.3f} | {setting['score_without_own_time']:.3f} | "
              f"{' | '.join(cells)} | {interval(setting['to_first'])} | {interval(setting['to_random'])} |")
    print("\n| strategy | evaluations a second |\n|---|---:|")
    for name, entry in sorted(speed["strategies"].items(), key=lambda item: -item[1]["evaluations_per_second"]):
        print(f"| `{name}` | {entry['evaluations_per_second']:,.0f} |")


if __name__ == "__main__":
    main()
