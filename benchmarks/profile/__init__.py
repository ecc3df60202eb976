"""Where the time of an add, a fold, a REST add and a REST batch goes.

python -m benchmarks.profile add|fold|rest|batch
python -m benchmarks.profile.against <another checkout of this repository>
"""
