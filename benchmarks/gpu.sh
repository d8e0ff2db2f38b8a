#!/usr/bin/env bash
# Everything about the networks that only a machine with a GPU can tell, in one report, within nine minutes:
#
#   benchmarks/gpu.sh [--out FOLDER] [--size released|tiny] [--device cuda|cpu] [--minutes 9] [--sections NAME ...]
#
# It needs Python with PyTorch, NumPy, SciPy, OpenCV, safetensors, pytest, pytest-timeout and hypothesis; no ROS and no
# network. What is missing is taken from wheels in the folder SAM3D_WHEELS (by default .whl beside the benchmarks):
#
#   python3 -m pip download --only-binary=:all: --no-deps -d .whl safetensors pytest pytest-timeout hypothesis ...
#
# Parity data are looked for in SAM3D_GOLDEN_DIR, by default ../shared/golden beside the repository.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python3}
wheels=${SAM3D_WHEELS:-$repository/.whl}
export PYTHONPATH="$repository:$repository/benchmarks${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONDONTWRITEBYTECODE=1
if compgen -G "$wheels/*.whl" >/dev/null; then
    site=$(mktemp -d)
    trap 'rm -rf "$site"' EXIT
    "$python" -m pip install --quiet --no-index --no-deps --no-compile --no-cache-dir --target "$site" "$wheels"/*.whl
    export PYTHONPATH="$PYTHONPATH:$site"
fi
"$python" "$repository/benchmarks/gpu_report.py" "$@"
