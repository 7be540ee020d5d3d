/**
 * A self-signed certificate for 127.0.0.1 and localhost, made on the spot so that no key lies in the repository.
 *
 * The encoding is DER as far as one certificate needs it (RFC 5280, section 4.1).
 *
 * @module
 */
import { generateKeyPairSync, sign } from "node:crypto";

/** A certificate that is its own authority, and its key; both PEM. */
export interface TestCertificate {
  readonly cert: string;
  readonly key: string;
}

const tags = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  oid: 0x06,
  text: 0x0c,
  time: 0x17,
} as const;
const sequence = 0x30;
const set = 0x31;

/** Object identifiers in their DER contents. */
const oids = {
  ecdsaWithSha256: [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
  commonName: [0x55, 0x04, 0x03],
  basicConstraints: [0x55, 0x1d, 0x13],
  subjectAltName: [0x55, 0x1d, 0x11],
} as const;

/** Makes a certificate. */
export function makeCertificate(): TestCertificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const algorithm = der(sequence, oid(oids.ecdsaWithSha256));
  const name = der(
    sequence,
    der(set, der(sequence, oid(oids.commonName), der(tags.text, Buffer.from("test")))),
  );
  const names = der(sequence, der(0x82, Buffer.from("localhost")), der(0x87, Buffer.from([127, 0, 0, 1])));
  const extensions = der(
    sequence,
    extension(oids.basicConstraints, der(sequence, der(tags.boolean, Buffer.from([0xff])))),
    extension(oids.subjectAltName, names),
  );
  const body = der(
    sequence,
    der(0xa0, der(tags.integer, Buffer.from([2]))),
    der(tags.integer, Buffer.from([1])),
    algorithm,
    name,
    der(sequence, time("200101000000Z"), time("491231235959Z")),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, extensions),
  );
  const signature = der(tags.bits, Buffer.from([0]), sign("sha256", body, privateKey));
  const base64 = der(sequence, body, algorithm, signature).toString("base64");
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${base64.replaceAll(/.{64}/g, "$&\n")}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const contents = Buffer.concat(parts);
  const { length } = contents;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), contents]);
}

function oid(contents: readonly number[]): Buffer {
  return der(tags.oid, Buffer.from(contents));
}

function time(text: string): Buffer {
  return der(tags.time, Buffer.from(text));
}

function extension(id: readonly number[], value: Buffer): Buffer {
  return der(sequence, oid(id), der(tags.octets, value));
}
