import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { JsonObject } from "./core.ts";
import { exampleOfSchema } from "./schema-example.ts";

describe("an example of a schema", () => {
  it("is accepted by what the schema was made from", () => {
    const shape = z.object({
      name: z.string().min(9).max(12),
      kind: z.enum(["b", "a"]),
      age: z.int().min(18).max(99),
      share: z.number().gt(0).lt(1).multipleOf(0.25),
      tags: z.array(z.string()).min(2),
      at: z.iso.datetime(),
      mail: z.email(),
      inner: z.object({ on: z.boolean(), maybe: z.string().nullable(), none: z.null() }),
      either: z.union([z.object({ x: z.literal(4) }), z.string()]),
    });
    const schema = z.toJSONSchema(shape) as JsonObject;
    // zod writes e-mail addresses as a pattern, too, which an example need not satisfy; the format it does.
    expect(() => shape.parse(exampleOfSchema(schema))).not.toThrow();
    expect(exampleOfSchema(schema)).toEqual(exampleOfSchema(schema));
  });

  it("ends for schemas that contain themselves", () => {
    const tree: JsonObject = {
      $ref: "#/$defs/node",
      $defs: {
        node: {
          type: "object",
          properties: {
            value: { type: "integer" },
            next: { anyOf: [{ $ref: "#/$defs/node" }, { type: "null" }] },
            children: { type: "array", items: { $ref: "#/$defs/node" } },
          },
          required: ["value", "next", "children"],
        },
      },
    };
    expect(exampleOfSchema(tree)).toMatchObject({ value: 1, next: { value: 1 } });
  });

  it("follows references and allOf", () => {
    const schema: JsonObject = {
      allOf: [{ $ref: "#/$defs/a~1b" }, { type: "object", properties: { y: { const: 2 } } }],
      $defs: { "a/b": { type: "object", properties: { x: { type: "integer", minimum: 7 } } } },
    };
    expect(exampleOfSchema(schema)).toEqual({ x: 7, y: 2 });
  });

  it("takes whatever it is given", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const schema: JsonObject = {
          type: "object",
          properties: { x: value as JsonObject },
          items: value as JsonObject,
        };
        expect(JSON.stringify(exampleOfSchema(schema))).toBeTypeOf("string");
      }),
    );
  });
});
