#!/bin/bash
# Runs one command inside User Mode Linux: a second kernel, as a process, with IPVS and every netfilter module of
# Debian's build, for what the kernel of the machine lacks. The guest's root is the machine's own file system, so
# the command finds the same tools and leaves its files on the same disk. What a command prints comes out here as
# it is printed; its input is empty.
#
# usage: run.sh [-t seconds] [-m memory] command [argument...]
#        -t  give up after so long (900);  -m  memory of the guest (1G)
# exit:  the command's own status; 2 wrong usage; 124 out of time; 125 the guest ended without a status (a panic,
#        too little memory); with 124 and 125 the guest kernel's log goes to standard error; 127 no UML here.
#
# needs: user-mode-linux, busybox-static
set -u

usage() {
  echo "usage: ${0##*/} [-t seconds] [-m memory] command [argument...]" >&2
  exit 2
}

seconds=900 memory=1G
while getopts t:m: option; do
  case $option in
    t) seconds=$OPTARG ;;
    m) memory=$OPTARG ;;
    *) usage ;;
  esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || usage
[[ $seconds =~ ^[1-9][0-9]*$ ]] || usage
[[ $memory =~ ^[1-9][0-9]*[KMG]?$ ]] || usage
for tool in linux.uml busybox; do
  command -v "$tool" >/dev/null || { echo "${0##*/}: $tool is not installed" >&2; exit 127; }
done

here=$(cd "$(dirname "$0")" && pwd)
# Not below /run or /dev/shm, whatever TMPDIR says: the guest hides those under file systems of its own.
job=$(mktemp -d /tmp/uml-job.XXXXXX)
guest= timer=
end() {
  # The guest's processes are processes here, in the guest kernel's session; what a kernel that was killed leaves of
  # them nobody else would end.
  [ -z "$guest" ] || kill -KILL -- "-$guest" 2>/dev/null
  [ -z "$timer" ] || kill "$timer" 2>/dev/null
  wait
  rm -rf "$job"
} 2>/dev/null
trap end EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# The guest's command line is split at blanks, which the path of this folder may have; the job's has none.
cp "$here/init.sh" "$job/init.sh"
{
  printf 'cd %q || exit\n' "$PWD"
  printf '%q ' "$@"
} >"$job/command"

# Two consoles, so that the kernel's log and the command's output do not mix: ttyS0 is the log, tty0 (descriptor 3)
# is this script's standard output. As a background child of a script, `setsid` need not fork, so $! is the guest kernel
# and leads its session.
setsid linux.uml mem="$memory" \
  root=/dev/root rootfstype=hostfs rootflags=/ rw init="$job/init.sh" umljob="$job" \
  uml_dir="$job/" umid=guest con=null con0=null,fd:3 ssl=null ssl0=null,fd:1 console=ttyS0 \
  </dev/null 3>&1 >"$job/kernel.log" 2>&1 &
guest=$!
sleep "$seconds" >/dev/null 2>&1 &
timer=$!
wait -n -p first "$guest" "$timer"
ended=$?
late=
if [ "$first" = "$timer" ]; then
  late=1
  kill -TERM "$guest" # asks the guest to halt; `end` does not ask
  sleep 5 >/dev/null 2>&1 &
  timer=$!
  wait -n "$guest" "$timer"
fi

if [ -n "$late" ]; then
  echo "${0##*/}: no end after $seconds s: $*" >&2
  status=124
elif [ -s "$job/status" ]; then
  exit "$(<"$job/status")"
else
  echo "${0##*/}: the guest ended without a status (UML's own: $ended): $*" >&2
  status=125
fi
tail -n 60 "$job/kernel.log" | sed 's/^/kernel: /' >&2
exit "$status"
