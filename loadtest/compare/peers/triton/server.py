"""Starts the Triton that nvidia-pytriton ships, with its Python backend's stub for this Python. Argument: the port."""

import os
import shutil
import sys
import sysconfig
from pathlib import Path

import pytriton

here = Path(__file__).parent
shipped = Path(pytriton.__file__).parent / "tritonserver"
backends = here / "backends"
shutil.copytree(shipped / "backends", backends)
# The stub finds its libraries relative to where the package has it.
stub = shipped / "python_backend_stubs" / f"{sys.version_info.major}.{sys.version_info.minor}"
(backends / "python" / "triton_python_backend_stub").symlink_to(stub / "triton_python_backend_stub")
command = [
    str(shipped / "bin" / "tritonserver"),
    f"--model-repository={here / 'models'}",
    f"--backend-directory={backends}",
    "--http-address=127.0.0.1",
    f"--http-port={sys.argv[1]}",
    "--allow-grpc=false",
    "--allow-metrics=false",
]
variables = {
    "LD_LIBRARY_PATH": sysconfig.get_config_var("LIBDIR"),  # the stub must load this Python's library, not another's
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",  # by which the stub finds the venv's packages
}
os.execve(command[0], command, {**os.environ, **variables})  # noqa: S606
