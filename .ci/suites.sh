#!/usr/bin/env bash
# Everything that must hold before a change lands, one suite after the other.
#
#   .ci/suites.sh                     installs what is missing, runs all suites
#   .ci/suites.sh --only SUITE...     these suites, with what they need
#   .ci/suites.sh --unlimited SUITE   one suite without its time limit
#   .ci/suites.sh --setup [SUITE...]  only installs what is missing
#
# Each suite runs under timeout(1) with the limit in the table below; all limits
# together are 15 minutes, counted from when the tools are there. A suite that
# fails does not stop the others: one run tells all that is wrong. The last
# lines are what go test said of each package.
#
# A missing tool is never a skipped suite. What Debian or Ubuntu has is
# installed where this may be done without a question (as root, or with sudo
# that asks for no password); elsewhere one line says what to install, and the
# run fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# name  limit in seconds  what it does
readonly SUITES='
format   10  gofmt changes nothing
modules  20  go.mod and go.sum are tidy and the modules are what they were
vet      60  go vet
lint     90  golangci-lint: .golangci.yml
fuzz    130  every fuzz target for a second
clients  70  public clients of Zendesk, unmodified, against the daemon
model    60  10,000 random edits at Zendesk, and what the mirror makes of them
test    460  go test with the race detector
'
readonly SETUP_LIMIT=600
readonly GOLANGCI_LINT=v2.15.0
export FUZZTIME=${FUZZTIME:-1s}

say() { printf '%s\n' "$@"; }
fail() { say "$@" >&2; exit 1; }
limit_of() { awk -v suite="$1" '$1 == suite { print $2 }' <<<"$SUITES"; }
names() { awk 'NF { print $1 }' <<<"$SUITES"; }

# The suites. Each says what is wrong on its own and returns non-zero then.

suite_format() {
  local unformatted
  unformatted=$("$(go env GOROOT)/bin/gofmt" -l .)
  [[ -z $unformatted ]] || fail "gofmt would change: ${unformatted//$'\n'/ }"
}

suite_modules() {
  go mod tidy -diff
  go mod verify
}

suite_vet() { go vet ./...; }

suite_lint() { "$(linter)" run ./...; }

suite_test() {
  local limit again=()
  limit=$(limit_of test)
  # A fresh run on CI; elsewhere what has not changed need not run again. The
  # tests' own limit is the shorter one: it shows where each goroutine hung.
  [[ ${CI:-} != true ]] || again=(-count=1)
  CGO_ENABLED=1 go test -race "${again[@]}" -timeout "$((limit - 30))s" ./... 2>&1 | tee "${HEARD:-/dev/null}"
}

# Without the race detector, which takes ten times as long: what it finds, it
# finds in the shorter run that suite_test does.
suite_model() { CGO_ENABLED=0 go test -count=1 -timeout 55s ./internal/model; }

suite_clients() { internal/compat/run.sh all; }

# From the inputs in the tree alone, not from what a longer run left in Go's
# cache: each run begins at the same point.
suite_fuzz() {
  local found status=0
  found=$(mktemp -d)
  FUZZCACHE=$found .ci/fuzz.sh || status=$?
  rm -rf "$found"
  return "$status"
}

# What the suites need.

linter() { say ".tools/golangci-lint-$GOLANGCI_LINT-$(go env GOVERSION)/golangci-lint"; }

# The linter must be built by the Go that the project uses, or it refuses to
# read its code; so both versions are in the folder's name. Flags that a
# developer set for the project are not for building a tool.
install_linter() {
  local bin
  bin=$(linter)
  [[ -x $bin ]] && return
  say "setup: building golangci-lint $GOLANGCI_LINT, once; it takes about two minutes"
  GOFLAGS='' CGO_ENABLED=0 GOBIN="$PWD/$(dirname "$bin")" \
    go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$GOLANGCI_LINT"
}

# The race detector needs cgo: a C compiler and the C library's headers.
has_c_compiler() {
  local cc
  cc=$(go env CC)
  [[ -n $cc ]] && printf '#include <stdlib.h>\nint main(void) { return 0; }\n' | $cc -x c -o /dev/null - 2>/dev/null
}

# What Debian and Ubuntu have: why it is needed, then the packages.
install_packages() {
  local why=$1 packages=("${@:2}") root=()
  ((EUID == 0)) || root=(sudo -n)
  if ! command -v apt-get >/dev/null || ! "${root[@]}" true 2>/dev/null; then
    fail "$why; install it (Debian, Ubuntu: apt-get install ${packages[*]}) and run again"
  fi
  say "setup: installing ${packages[*]}"
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
}

install_c_compiler() {
  has_c_compiler && return
  install_packages "the race detector needs a C compiler and the C library's headers" gcc libc6-dev
  has_c_compiler || fail "gcc and libc6-dev are installed, but $(go env CC) still compiles nothing"
}

has_node() { command -v node >/dev/null && command -v npm >/dev/null && (($(node -p 'process.versions.node.split(".")[0]') >= 20)); }

install_node() {
  has_node && return
  install_packages 'the client node-zendesk needs Node 20 or later, with npm' nodejs npm
  has_node || fail "the Node that is installed is older than 20: install a later one, and run again"
}

setup() {
  local suite
  for suite in "$@"; do
    case $suite in
      lint) install_linter ;;
      test) install_c_compiler ;;
      clients) install_node ;;
    esac
  done
}

# How they run.

# The command under a time limit, so that ^C and a stopped CI end it too:
# timeout(1) puts it into a process group of its own and hands signals on to
# all of that.
running=''
trap '[[ -z $running ]] || kill -TERM "$running" 2>/dev/null; exit 130' INT TERM

limited() {
  timeout --kill-after=10 "$@" &
  running=$!
  local status=0
  wait "$running" || status=$?
  running=''
  return "$status"
}

table_of_limits() {
  local suite limit total=0
  say 'suite    may take'
  for suite in "$@"; do
    limit=$(limit_of "$suite")
    total=$((total + limit))
    printf '%-8s %6d s  %s\n' "$suite" "$limit" "$(awk -v suite="$suite" '$1 == suite { $1 = $2 = ""; print substr($0, 3) }' <<<"$SUITES")"
  done
  printf '%-8s %6d s\n' total "$total"
}

run_suites() {
  local suite began status verdict report='' failed=() all_began=$SECONDS
  HEARD=$(mktemp)
  export HEARD
  table_of_limits "$@"
  for suite in "$@"; do
    say '' "== $suite"
    began=$SECONDS status=0 verdict=ok
    limited "$(limit_of "$suite")" bash .ci/suites.sh --unlimited "$suite" || status=$?
    case $status in
      0) ;;
      124 | 137) verdict='took too long' ;;
      *) verdict=failed ;;
    esac
    ((status == 0)) || failed+=("$suite")
    report+=$(printf '%-8s %6d s %4d s  %s' "$suite" "$(limit_of "$suite")" "$((SECONDS - began))" "$verdict")$'\n'
  done
  printf '\nsuite    may take   took\n%s%-8s %8s %4d s\n' "$report" total '' "$((SECONDS - all_began))"
  if [[ -s $HEARD ]]; then
    say '' 'go test said:'
    grep -E '^(ok|FAIL|--- FAIL|panic:)' "$HEARD" || say 'nothing of any package'
  fi
  rm -f "$HEARD"
  ((${#failed[@]} == 0)) || fail '' "failed: ${failed[*]}"
  say '' 'all suites passed'
}

known() {
  local suite
  for suite in "$@"; do
    [[ -n $(limit_of "$suite") ]] || fail "no suite $suite; there are: $(names | paste -sd ' ')"
  done
}

main() {
  local mode=all suites
  case ${1:-} in
    --only | --unlimited | --setup) mode=${1#--} && shift ;;
    '') ;;
    *) fail "usage: $0 [--only SUITE... | --unlimited SUITE | --setup]" ;;
  esac
  command -v go >/dev/null || fail 'Go is not installed; go.mod says which version is needed'
  suites=("$@")
  ((${#suites[@]} > 0)) || mapfile -t suites < <(names)
  known "${suites[@]}"

  case $mode in
    unlimited)
      setup "${suites[0]}"
      "suite_${suites[0]}"
      ;;
    setup) setup "${suites[@]}" ;;
    *)
      limited "$SETUP_LIMIT" bash .ci/suites.sh --setup "${suites[@]}" || fail 'failed: setup'
      run_suites "${suites[@]}"
      ;;
  esac
}

main "$@"
