"""`python -m datajuicer.launch.element`, which scripts of queued jobs call."""

import runpy

if __name__ == "__main__":
    runpy.run_module("datajuicer.clusters.element", run_name="__main__", alter_sys=True)
