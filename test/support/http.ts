/** One plain HTTP request, as a probe or a scraper makes it. */
import { request } from "node:http";
import { formatHostPort, type HostPort } from "../../common/net/host-port.ts";

export interface HttpAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export function fetchFrom({ port }: HostPort, path: string, method = "GET"): Promise<HttpAnswer> {
  const url = `http://${formatHostPort({ host: "127.0.0.1", port })}${path}`;
  return new Promise((resolve, reject) => {
    request(url, { method, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        resolve({
          status: response.statusCode ?? 0,
          contentType: response.headers["content-type"] ?? "",
          body: Buffer.concat(chunks).toString(),
        });
      });
    })
      .on("error", reject)
      .end();
  });
}
