#!/usr/bin/env bash
# Public clients of Zendesk's API, unmodified, against aniproxy's /api/v2.
#
#   internal/compat/run.sh [all | go | node] [flags of go test...]
#
# go is github.com/nukosuke/go-zendesk, the call flow template and the face's
# own contract; node is node-zendesk, which npm ci installs by the lock file.
# Both build the daemon from this tree, unless ANIPROXY_BINARY names one.
#
# Without Node the node part says so in one line and passes; under CI=true it
# fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

fail() { printf '%s\n' "$@" >&2; exit 1; }

# The client as the lock file has it; what is there already stays.
install_node_zendesk() {
  local missing='' installed=nodezendesk/node_modules/.installed
  command -v node >/dev/null && command -v npm >/dev/null || missing='Node and npm are not installed (Debian, Ubuntu: apt-get install nodejs npm)'
  if [[ -z $missing ]] && (($(node -p 'process.versions.node.split(".")[0]') < 20)); then
    missing="Node $(node -v) is older than 20"
  fi
  if [[ -n $missing ]]; then
    [[ ${CI:-} != true ]] || fail "compat: $missing"
    printf 'compat: the node part is left out: %s\n' "$missing"
    return 1
  fi
  cmp -s nodezendesk/package-lock.json "$installed" && return
  (cd nodezendesk && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2) || fail 'compat: npm ci failed'
  cp nodezendesk/package-lock.json "$installed"
}

go_test() { (cd gozendesk && go mod tidy -diff && go vet ./... && go test -count=1 -timeout 170s "$@" ./...); }

main() {
  local what=${1:-all}
  (($# == 0)) || shift
  case $what in
    all)
      if install_node_zendesk; then go_test "$@"; else go_test -skip NodeZendesk "$@"; fi
      ;;
    go) go_test -skip NodeZendesk "$@" ;;
    node)
      install_node_zendesk || return 0
      go_test -run NodeZendesk "$@"
      ;;
    *) fail "usage: $0 [all | go | node] [flags of go test...]" ;;
  esac
}

main "$@"
