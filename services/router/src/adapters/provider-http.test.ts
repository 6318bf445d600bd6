import { describe, expect, it } from "vitest";
import { joinPath, parseBaseUrl } from "./provider-http.ts";

describe("a base URL", () => {
  it("keeps its path and query, with or without a slash at its end", () => {
    const plain = parseBaseUrl("https://api.example.com/v1/");
    expect(plain.origin).toBe("https://api.example.com");
    expect(joinPath(plain, "/chat/completions")).toBe("/v1/chat/completions");
    expect(joinPath(parseBaseUrl("http://127.0.0.1:8000"), "/chat/completions")).toBe("/chat/completions");
    const azure = parseBaseUrl("https://x.openai.azure.com/openai/deployments/d?api-version=2026-01-01");
    expect(joinPath(azure, "/chat/completions")).toBe("/openai/deployments/d/chat/completions?api-version=2026-01-01");
    expect(joinPath(azure, "/m:streamGenerateContent?alt=sse")).toBe(
      "/openai/deployments/d/m:streamGenerateContent?api-version=2026-01-01&alt=sse",
    );
    expect(joinPath(plain, "/m:streamGenerateContent?alt=sse")).toBe("/v1/m:streamGenerateContent?alt=sse");
  });

  it("is refused where it holds a credential or is none", () => {
    expect(() => parseBaseUrl("https://user:secret@example.com/")).toThrow("credential");
    expect(() => parseBaseUrl("https://user:secret@example.com/")).not.toThrow("secret");
    expect(() => parseBaseUrl("file:///etc/passwd")).toThrow("http");
    expect(() => parseBaseUrl("not a url")).toThrow("no URL");
  });
});
