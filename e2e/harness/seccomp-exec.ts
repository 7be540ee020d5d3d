/**
 * Becomes the program of its arguments, with the system calls refused that container runtimes refuse by default.
 *
 * Docker's documentation lists them ("Significant syscalls blocked by the default profile"); containerd's profile, which
 * Kubernetes calls RuntimeDefault, follows it. Refused with EPERM, and `clone3` with ENOSYS so that the C library falls back.
 * Only for x86-64.
 *
 * @module
 */
import koffi from "koffi";

/** Numbers on x86-64. */
const refused: Readonly<Record<string, number>> = {
  ptrace: 101,
  uselib: 134,
  personality: 135,
  ustat: 136,
  sysfs: 139,
  vhangup: 153,
  pivot_root: 155,
  _sysctl: 156,
  chroot: 161,
  acct: 163,
  settimeofday: 164,
  mount: 165,
  umount2: 166,
  swapon: 167,
  swapoff: 168,
  reboot: 169,
  iopl: 172,
  ioperm: 173,
  create_module: 174,
  init_module: 175,
  delete_module: 176,
  get_kernel_syms: 177,
  query_module: 178,
  quotactl: 179,
  nfsservctl: 180,
  lookup_dcookie: 212,
  clock_settime: 227,
  mbind: 237,
  set_mempolicy: 238,
  get_mempolicy: 239,
  kexec_load: 246,
  add_key: 248,
  request_key: 249,
  keyctl: 250,
  unshare: 272,
  move_pages: 279,
  perf_event_open: 298,
  open_by_handle_at: 304,
  clock_adjtime: 305,
  setns: 308,
  process_vm_readv: 310,
  process_vm_writev: 311,
  kcmp: 312,
  finit_module: 313,
  kexec_file_load: 320,
  bpf: 321,
  userfaultfd: 323,
  io_uring_setup: 425,
  io_uring_enter: 426,
  io_uring_register: 427,
};
const clone = 56;
const clone3 = 435;
/** Every CLONE_NEW… flag. */
const namespaceFlags = 0x7e020000;

const EPERM = 1;
const ENOSYS = 38;

// struct seccomp_data: number at 0, architecture at 4, arguments from 16 on; little-endian.
const loadNumber = instruction(0x20, 0, 0, 0);
const loadArchitecture = instruction(0x20, 0, 0, 4);
const loadFirstArgument = instruction(0x20, 0, 0, 16);
const x8664 = 0xc000003e;
const allow = instruction(0x06, 0, 0, 0x7fff0000);
const kill = instruction(0x06, 0, 0, 0x80000000);

function fail(errno: number): Buffer {
  return instruction(0x06, 0, 0, 0x00050000 | errno);
}

/** Goes on with the next instruction when the value is equal, with the one after it when not. */
function ifEqual(value: number): Buffer {
  return instruction(0x15, 0, 1, value);
}

function instruction(code: number, whenTrue: number, whenFalse: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(code, 0);
  bytes.writeUInt8(whenTrue, 2);
  bytes.writeUInt8(whenFalse, 3);
  bytes.writeUInt32LE(value >>> 0, 4);
  return bytes;
}

const program: readonly Buffer[] = [
  loadArchitecture,
  instruction(0x15, 1, 0, x8664),
  kill,
  loadNumber,
  ...Object.values(refused).flatMap((number) => [ifEqual(number), fail(EPERM)]),
  ifEqual(clone3),
  fail(ENOSYS),
  instruction(0x15, 0, 3, clone),
  loadFirstArgument,
  instruction(0x45, 0, 1, namespaceFlags),
  fail(EPERM),
  allow,
];

const SYS_seccomp = 317;
const SECCOMP_SET_MODE_FILTER = 1;
const SECCOMP_FILTER_FLAG_TSYNC = 1;

const libc = koffi.load("libc.so.6");
koffi.struct("sock_fprog", { length: "uint16_t", filter: "uint8_t *" });
const syscall = libc.func("int64_t syscall(int64_t, int64_t, int64_t, sock_fprog *)");

const [file = "", ...args] = process.argv.slice(2);
const filter = Buffer.concat(program);
const status: number = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, {
  length: program.length,
  filter,
});
if (status !== 0) {
  throw new Error(`Cannot set a seccomp filter: errno ${koffi.errno()}`);
}
process.execve?.(file, [file, ...args], process.env as Record<string, string>);
