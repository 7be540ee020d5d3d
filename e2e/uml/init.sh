#!/bin/bash
# The first process of the guest that run.sh starts: makes the machine's file tree usable as a root, runs the command
# and halts.
#
# The root is the machine's own, writable, through hostfs. Everything mounted here exists in the guest only, and
# nothing may be written to the machine's tree outside the job's folder: hence a tmpfs on /run, and the refusal to go
# on when /dev is still the machine's.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb CI=true NO_COLOR=1
# /tmp is the machine's, where tests sweep up after processes that they do not see running: the guest's, for instance.
export TMPDIR=/run

halt() {
  sync
  busybox poweroff -f
}

mount -t proc proc /proc
mount -t sysfs sys /sys
for word in $(</proc/cmdline); do
  case $word in umljob=*) job=${word#umljob=} ;; esac
done
grep -q ' /dev devtmpfs ' /proc/mounts || halt # the guest kernel mounts it itself, before this script
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs run /run
ln -sfn /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr

# Modules: the kernel asks the helper named in /proc/sys for them. busybox has one, so kmod need not be installed; it
# looks in /lib/modules only, which the machine may not have, so it runs in a root made for it.
mkdir -p /run/modprobe/{bin,proc,lib/modules}
cp "$(command -v busybox)" /run/modprobe/bin/busybox
mount --bind /proc /run/modprobe/proc
mount --bind /usr/lib/uml/modules /run/modprobe/lib/modules
printf '#!/bin/sh\nexec chroot /run/modprobe /bin/busybox modprobe "$@"\n' >/run/modprobe/helper
chmod +x /run/modprobe/helper
echo /run/modprobe/helper >/proc/sys/kernel/modprobe
# Nothing asks for these by itself: without the one a bridge's packets pass by iptables, the other makes /dev/net/tun.
/run/modprobe/helper br_netfilter
/run/modprobe/helper tun

# A namespace gets a tunl0 when somebody asks for one, as a machine does, not before its other links. The source address
# of packets to pods depends on which is first.
echo 1 >/proc/sys/net/core/fb_tunnels_only_for_init_net

ip link set lo up
stty -opost </dev/tty0 # lines end as the command ends them
bash "$job/command" </dev/null >/dev/tty0 2>&1
echo $? >"$job/status"
halt
