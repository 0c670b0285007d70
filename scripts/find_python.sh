# Sourced by the starters: puts the first usable Python into $python, or says what is missing and exits.
python=
without_venv=
for candidate in "${PYTHON:-}" python3 python3.11 python3.12 python3.13 python3.14; do
  [ -n "$candidate" ] || continue
  "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue
  if "$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    python=$candidate
    break
  fi
  without_venv=${without_venv:-$candidate}
done
if [ -z "$python" ] && [ -n "$without_venv" ]; then
  package=$("$without_venv" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
  echo "headroom: Python's venv module is missing; install it (Debian, Ubuntu: apt-get install $package) and start again." >&2
  exit 1
fi
if [ -z "$python" ]; then
  echo "headroom: Python 3.11 or newer is needed and was not found; install it (Debian, Ubuntu: apt-get install python3 python3-venv), or name one: PYTHON=/path/to/python3 $0" >&2
  exit 1
fi
