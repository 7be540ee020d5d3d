#!/bin/bash
# Runs one command under a Debian kernel in QEMU without hardware help: for what neither the machine's kernel nor User Mode
# Linux's has, as ipip beside nf_tables. Slow, and not part of the tests; e2e/uml/run.sh is what they use.
#
# The guest's root is the machine's, read-only through virtiofs, with a layer in memory on top: what the command writes is
# gone at the end. What it prints comes out here.
#
# Tests find the word umljob in the guest's command line, as in User Mode Linux, and are patient.
#
# usage: run.sh [-t seconds] [-m megabytes] command [argument...]
# exit:  the command's status; 124 out of time; 125 the guest ended without a status; its messages are in .cache/qemu/log
#
# needs: qemu-system-x86, busybox-static; a kernel in .cache/qemu/kernel, which it downloads and unpacks when it is missing
set -eu

here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)
cache=$project/.cache/qemu
kernel=$cache/kernel
seconds=900 megabytes=3072
while getopts t:m: option; do
  case $option in
    t) seconds=$OPTARG ;;
    m) megabytes=$OPTARG ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || { echo "usage: ${0##*/} [-t seconds] [-m megabytes] command [argument...]" >&2; exit 2; }

if [ ! -d "$kernel/boot" ]; then
  mkdir -p "$cache"
  cd "$cache"
  package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends/ { print $2; exit }')
  apt-get -qq download "$package"
  dpkg-deb -x "$package"_*.deb kernel
  rm -f "$package"_*.deb
fi
image=$(echo "$kernel"/boot/vmlinuz-*)
version=${image##*/vmlinuz-}
modules=$kernel/lib/modules/$version
[ -e "$modules/modules.dep" ] || busybox depmod -b "$kernel" "$version"

job=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$job"' EXIT

# The first file tree: busybox, and the modules that lead to the machine's tree.
mkdir -p "$job"/tree/{bin,modules,proc,sys,dev,lower,upper,root}
cp "$(command -v busybox)" "$job/tree/bin/busybox"
first=(fuse virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtiofs overlay)
for name in "${first[@]}"; do
  file=$(find "$modules" -name "$name.ko" -print -quit)
  [ -z "$file" ] || cp "$file" "$job/tree/modules/"
done
cat >"$job/tree/init" <<EOF
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for name in ${first[*]}; do [ ! -e /modules/\$name.ko ] || insmod /modules/\$name.ko; done
mount -t virtiofs -o ro host /lower
mount -t tmpfs upper /upper
mkdir /upper/data /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work root /root
for place in proc sys dev; do mount --move /\$place /root/\$place; done
exec switch_root /root /bin/bash $job/second
EOF
chmod +x "$job/tree/init"
(cd "$job/tree" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$job/initrd"

# Then the guest is as e2e/uml/init.sh leaves its own.
{
  cat <<EOF
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb CI=true NO_COLOR=1 TMPDIR=/run
mkdir -p /dev/pts /dev/shm /lib/modules
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs run /run
ln -sfn /proc/self/fd /dev/fd
rm -rf /lib/modules/$version
cp -r "$modules" /lib/modules/
for name in br_netfilter tun ipip dummy nf_tables nft_compat; do busybox modprobe \$name; done
printf '#!/bin/sh\nexec busybox modprobe "\$@"\n' >/run/modprobe
chmod +x /run/modprobe
echo /run/modprobe >/proc/sys/kernel/modprobe
echo 1 >/proc/sys/net/core/fb_tunnels_only_for_init_net
ip link set lo up
cd $(printf %q "$PWD")
EOF
  printf '( '
  printf '%q ' "$@"
  printf ')\nstatus=$?\necho\necho "the-status-is $status"\nbusybox poweroff -f\n'
} >"$job/second"

/usr/lib/qemu/virtiofsd --socket-path="$job/socket" -o source=/ -o cache=always -o sandbox=chroot >"$cache/log" 2>&1 &
server=$!
while [ ! -S "$job/socket" ]; do sleep 0.1; done
status=0
timeout "$seconds" qemu-system-x86_64 -M q35 -accel tcg,thread=multi,tb-size=512 -cpu max -smp 2 -m "$megabytes" \
  -object "memory-backend-memfd,id=mem,size=${megabytes}M,share=on" -numa node,memdev=mem \
  -chardev "socket,id=char,path=$job/socket" -device vhost-user-fs-pci,chardev=char,tag=host \
  -nodefaults -nographic -serial stdio -no-reboot -kernel "$image" -initrd "$job/initrd" \
  -append "console=ttyS0 quiet panic=-1 mitigations=off umljob=none" </dev/null 2>>"$cache/log" |
  tr -d '\r' | tee "$job/output" | grep --line-buffered -v '^the-status-is ' || status=$?
[ "${PIPESTATUS[0]:-0}" != 124 ] || exit 124
told=$(sed -n 's/^the-status-is //p' "$job/output")
exit "${told:-125}"
