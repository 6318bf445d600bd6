/** Carries the mesh token; `authorization` is left to the keys of users. */
export const TOKEN_HEADER = "x-weir-mesh-token";
