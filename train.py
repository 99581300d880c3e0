"""Fine-tune a classifier on paintings: python train.py head=replace_two"""

import hydra
from omegaconf import DictConfig

from brushwork.training import config, sweep

config.register()


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def run(cfg: DictConfig) -> float | None:
    from brushwork.training import job  # torch and lightning: 5 s that --help does not need

    return job.run(cfg)


if __name__ == "__main__":
    try:
        run()
    finally:
        sweep.print_summary()
