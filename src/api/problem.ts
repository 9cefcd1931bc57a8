/** Members that a problem document may carry besides those of RFC 9457. */
export type ProblemExtra = Readonly<Record<string, unknown>>;

const TITLES: Readonly<Record<number, string>> = {
  400: "Bad request",
  404: "Not found",
  405: "Method not allowed",
  409: "Conflict",
  413: "Body too large",
  422: "Not acceptable as given",
  500: "Internal error",
  503: "Not available",
};

/** A refusal that a handler throws or answers: an HTTP status and what was wrong, for people. */
export class ApiProblem extends Error {
  readonly status: number;
  readonly extra: ProblemExtra;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    detail: string,
    extra: ProblemExtra = {},
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(detail);
    this.name = "ApiProblem";
    this.status = status;
    this.extra = extra;
    this.headers = headers;
  }

  /** The problem document of RFC 9457. */
  toResponse(): Response {
    const document = {
      type: "about:blank",
      title: TITLES[this.status] ?? "Error",
      status: this.status,
      detail: this.message,
      ...this.extra,
    };
    return Response.json(document, {
      status: this.status,
      headers: { ...this.headers, "content-type": "application/problem+json" },
    });
  }
}

/** What was given, shortened, as it is shown in a message. */
export function quote(given: unknown): string {
  const text = JSON.stringify(given) ?? String(given);
  return text.length <= 120 ? text : `${text.slice(0, 117)}...`;
}
