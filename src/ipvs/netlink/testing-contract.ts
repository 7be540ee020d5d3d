/**
 * What holds for the kernel's IPVS and for the fake one alike.
 *
 * Run twice: beside the code against the fake, and end to end against the kernel. A fake that drifts from the kernel
 * fails here, and so does a belief about the kernel that is wrong.
 *
 * @module
 */
import { balancing } from "./testing-contract-balancing.ts";
import type { IpvsContractCase } from "./testing-contract-case.ts";
import { changing } from "./testing-contract-changing.ts";
import { reading } from "./testing-contract-reading.ts";

/** All that holds; run each case with `keepContract`. */
export const ipvsContract: readonly IpvsContractCase[] = [...reading, ...changing, ...balancing];
