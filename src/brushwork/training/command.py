"""The command `python train.py`, or `brushwork train`: Hydra composes conf/, jobs run, a sweep's table is printed."""

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

import brushwork
from brushwork.errors import UserError
from brushwork.readable import readable
from brushwork.terminal import take_any_name
from brushwork.training import config, overrides, sweep


def conf_folder() -> Path:
    """conf/ of a clone, or its copy in an installed package."""
    package = Path(brushwork.__file__).parent
    clone = package.parents[1] / "conf"
    return clone if clone.is_dir() else package / "conf"


@hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="train")
def _run_job(cfg: DictConfig) -> float | None:
    from brushwork.training import job  # torch and lightning: 5 s that --help does not need

    return job.main(cfg)


def main() -> None:
    """Parse sys.argv and run."""
    take_any_name()
    try:
        sys.argv[1:] = overrides.as_hydra_reads(sys.argv[1:])
    except UserError as error:
        print("error:", readable(str(error)), file=sys.stderr)
        sys.exit(1)
    config.register()
    try:
        _run_job()
    finally:
        sweep.print_summary()


if __name__ == "__main__":  # as Lightning starts it again for DDP
    main()
