/** Mosquitto with passwords, and with TLS on a second port and TLS with client certificates on a third. */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { connect, type MqttClient } from "mqtt";
import { freePort, Service } from "./service";
import { toolEnvironment } from "./tools";

export const USER = "bridge";
export const PASSWORD = "a word that never shows";

export interface Certificates {
  ca: string;
  cert: string;
  key: string;
  clientCert: string;
  clientKey: string;
}

/** An authority, and a certificate for 127.0.0.1 and for a client. */
function makeCertificates(directory: string): Certificates {
  const at = (name: string): string => path.join(directory, name);
  const run = (...args: string[]): void => void execFileSync("openssl", args, { stdio: "ignore" });
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  run("req", "-x509", ...curve, "-subj", "/CN=test authority", "-keyout", at("ca.key"), "-out", at("ca.pem"));
  for (const name of ["server", "client"]) {
    run("req", ...curve.slice(0, 5), "-subj", `/CN=${name}`, "-keyout", at(`${name}.key`), "-out", at(`${name}.csr`));
    fs.writeFileSync(at(`${name}.ext`), "subjectAltName=IP:127.0.0.1\n");
    const signing = ["-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial", "-days", "2"];
    run("x509", "-req", "-in", at(`${name}.csr`), ...signing, "-extfile", at(`${name}.ext`), "-out", at(`${name}.pem`));
  }
  return {
    ca: at("ca.pem"),
    cert: at("server.pem"),
    key: at("server.key"),
    clientCert: at("client.pem"),
    clientKey: at("client.key"),
  };
}

export interface MosquittoOptions {
  /** TLS takes a moment to set up. */
  tls?: boolean;
  persistence?: boolean;
  /** Further lines of its configuration. */
  more?: string[];
}

export class Mosquitto {
  private constructor(
    readonly service: Service,
    readonly port: number,
    readonly tlsPort: number,
    readonly mutualPort: number,
    readonly certificates: Certificates | null,
  ) {}

  static async start(options: MosquittoOptions = {}): Promise<Mosquitto> {
    const port = await freePort();
    const tlsPort = options.tls ? await freePort() : 0;
    const mutualPort = options.tls ? await freePort() : 0;
    const service = new Service("mosquitto", ["-c", "mosquitto.conf"], port);
    const { directory } = service;
    const passwords = path.join(directory, "passwords");
    execFileSync("mosquitto_passwd", ["-b", "-c", passwords, USER, PASSWORD], {
      env: toolEnvironment,
      stdio: "ignore",
    });
    const certificates = options.tls ? makeCertificates(directory) : null;
    const lines = [
      // As root it would drop to a user who may not read the test's files.
      "user root",
      "allow_anonymous false",
      `password_file ${passwords}`,
      "max_queued_messages 100000",
      `persistence ${options.persistence ? "true" : "false"}`,
      ...(options.persistence ? [`persistence_location ${directory}/`] : []),
      ...(options.more ?? []),
      `listener ${port} 127.0.0.1`,
    ];
    if (certificates) {
      const tls = [`cafile ${certificates.ca}`, `certfile ${certificates.cert}`, `keyfile ${certificates.key}`];
      lines.push(`listener ${tlsPort} 127.0.0.1`, ...tls);
      lines.push(`listener ${mutualPort} 127.0.0.1`, ...tls, "require_certificate true");
    }
    fs.writeFileSync(path.join(directory, "mosquitto.conf"), `${lines.join("\n")}\n`);
    const broker = new Mosquitto(service, port, tlsPort, mutualPort, certificates);
    await service.start();
    return broker;
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.port}`;
  }

  /** A client that keeps what it hears. */
  async listen(...filters: string[]): Promise<Listener> {
    const listener = new Listener(
      connect(this.url, { username: USER, password: PASSWORD, reconnectPeriod: 50, connectTimeout: 1000 }),
      filters,
    );
    await listener.ready;
    return listener;
  }
}

export interface Heard {
  topic: string;
  text: string;
  retained: boolean;
  /** How often the broker has delivered it. */
  duplicate: boolean;
}

export class Listener {
  readonly heard: Heard[] = [];
  readonly ready: Promise<void>;

  constructor(
    readonly client: MqttClient,
    filters: readonly string[],
  ) {
    client.on("error", () => {});
    client.on("message", (topic, payload, packet) => {
      this.heard.push({ topic, text: payload.toString(), retained: packet.retain, duplicate: packet.dup });
    });
    this.ready = new Promise((resolve) => {
      client.on("connect", () => {
        void client.subscribeAsync([...filters], { qos: 1 }).then(() => resolve(), resolve);
      });
    });
  }

  /** The newest message on a topic as JSON. */
  last(topic: string): Record<string, unknown> | null {
    const found = this.heard.filter((one) => one.topic === topic).at(-1);
    return found ? (JSON.parse(found.text) as Record<string, unknown>) : null;
  }

  all(topic: string): Record<string, unknown>[] {
    return this.heard
      .filter((one) => one.topic === topic)
      .map((one) => JSON.parse(one.text) as Record<string, unknown>);
  }

  async close(): Promise<void> {
    await this.client.endAsync(true);
  }
}
