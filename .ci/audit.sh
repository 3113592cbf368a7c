#!/usr/bin/env bash
# What the programs are made of: that the modules are those of go.sum, that no
# tool is fetched at whatever version is the newest, and known vulnerabilities in
# code that the programs really call. The last needs the vulnerability database,
# which is on the network: so it is no part of `make test`, and where the
# database cannot be reached nothing of it was checked, which is said in a line
# and is not a pass.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly GOVULNCHECK=v1.9.0

go mod verify
if grep -rnE '@(latest|upgrade|master|main|HEAD)\b' Makefile .ci/*.sh .ci/run internal/compat/*.sh; then
  echo 'audit: these fetch a tool that is not pinned' >&2
  exit 1
fi

errors=$(mktemp)
trap 'rm -f "$errors"' EXIT

status=0
GOFLAGS='' go run "golang.org/x/vuln/cmd/govulncheck@$GOVULNCHECK" ./... 2>"$errors" || status=$?
unreachable=$(grep -m 1 -E 'dial tcp|no such host|timeout|connection refused|certificate|fetching vulnerabilities|: 40[0-9] |: 50[0-9] |Forbidden' "$errors" || true)
if ((status != 0)) && [[ -n $unreachable ]]; then
  echo "audit: known vulnerabilities were not checked, since govulncheck or its database cannot be reached: $unreachable" >&2
  exit 1
fi
cat "$errors" >&2
exit "$status"
