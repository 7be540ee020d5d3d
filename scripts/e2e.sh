#!/bin/bash
# Runs the tests on real kernels: those for this machine's kernel, and beside them those for a second one in User Mode
# Linux, which is a process with one processor. What the latter print comes when both are done.
#
# usage: e2e.sh    from the folder of the checkout, with the project's Node in PATH; as root
set -um

run() {
  CI=true vitest run --project "$1" --reporter=default --reporter=json --outputFile.json=".cache/reports/$1.json"
}

mkdir -p .cache/reports
log=.cache/reports/uml.log
run uml >"$log" 2>&1 &
uml=$!
# Its process group: an interrupted run leaves no guest behind.
trap 'kill -- "-$uml" 2>/dev/null' EXIT
run e2e
host=$?
wait "$uml"
guest=$?
trap - EXIT
cat "$log"
exit $((host > guest ? host : guest))
