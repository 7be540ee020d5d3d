/**
 * A program that asks for A and AAAA at the same moment from one socket, on two processors: `node dns-race.ts SERVER ROUNDS`.
 * It prints how many questions there were and how many of them were answered, as JSON.
 *
 * The C library sends both questions from one thread. Here two threads send them, so that they meet as often as can be.
 *
 * @module
 */
import { closeSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { isMainThread, Worker, workerData } from "node:worker_threads";
import {
  AF_INET,
  connectSocket,
  onCpu,
  openSocket,
  receiveDatagram,
  SOCK_DGRAM,
  sendDatagram,
  socketAddress,
} from "../harness/libc.ts";

/** What came of it. */
export interface RaceReport {
  readonly asked: number;
  readonly answered: number;
}

const types = { A: 1, AAAA: 28 } as const;
const name = "web.default.svc.cluster.local";
/** So many sockets are open at once. */
const batch = 200;
/** How long the last question of a batch waits for its answer. */
const patienceMs = 300;

interface Sender {
  readonly descriptors: readonly number[];
  readonly server: string;
  readonly type: number;
  readonly cpu: number;
  /** How many have come to each socket. */
  readonly arrived: Int32Array;
}

function question(type: number): Buffer {
  const labels = name.split(".").map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`));
  const header = Buffer.from([0, type, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([header, ...labels, Buffer.from([0, 0, type, 0, 1])]);
}

function send({ descriptors, server, type, cpu, arrived }: Sender): void {
  const address = socketAddress(server, 53);
  const data = question(type);
  onCpu(cpu, () => {
    for (const [index, descriptor] of descriptors.entries()) {
      Atomics.add(arrived, index, 1);
      while (Atomics.load(arrived, index) < 2);
      sendDatagram(descriptor, data, address);
    }
  });
}

async function race(server: string, rounds: number): Promise<RaceReport> {
  let asked = 0;
  let answered = 0;
  while (asked < 2 * rounds) {
    const descriptors = Array.from({ length: batch }, () => openSocket(AF_INET, SOCK_DGRAM));
    for (const descriptor of descriptors) connectSocket(descriptor, socketAddress(server, 53));
    const arrived = new Int32Array(new SharedArrayBuffer(4 * batch));
    const senders = Object.values(types).map(
      (type, cpu): Sender => ({ descriptors, server, type, cpu, arrived }),
    );
    await Promise.all(
      senders.map(
        (sender) =>
          new Promise((resolve, reject) => {
            const worker = new Worker(new URL(import.meta.url), { workerData: sender });
            worker.once("exit", resolve).once("error", reject);
          }),
      ),
    );
    await wait(patienceMs);
    const buffer = Buffer.alloc(2048);
    for (const descriptor of descriptors) {
      while (receiveDatagram(descriptor, buffer) !== undefined) answered += 1;
      closeSync(descriptor);
    }
    asked += 2 * batch;
  }
  return { asked, answered };
}

const [, , server, rounds] = process.argv;
if (!isMainThread) send(workerData);
else if (import.meta.main && server !== undefined) {
  process.stdout.write(`${JSON.stringify(await race(server, Number(rounds)))}\n`);
}
