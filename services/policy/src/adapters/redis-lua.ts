/**
 * domain/gcra.ts in Lua, statement by statement, on Redis's clock (or on the one given, for the vectors). All numbers are whole
 * microseconds in doubles, as there. What a request took is remembered under its id, packed:
 * { settled attempts, { bucket, state after the take, increment, is tokens, amount, window } … }.
 */
const PRELUDE = `
local now = tonumber(ARGV[1])
if now == 0 then
  local t = redis.call('TIME')
  now = tonumber(t[1]) * 1000000 + tonumber(t[2])
end
local function tat_of(key)
  local v = redis.call('GET', key)
  if v then return tonumber(v) end
  return -math.huge
end
local function write_tat(key, tat, window)
  redis.call('SET', key, string.format('%.0f', tat), 'PX', math.max(1, math.ceil((tat + window - now) / 1000)))
end
local function back(b, wanted)
  local tat = redis.call('GET', b[1])
  if not tat then return end
  local us = math.min(wanted, math.max(0, b[2] - now))
  if us <= 0 then return end
  write_tat(b[1], tonumber(tat) - us, b[6])
  b[2] = b[2] - us
end
`;

/**
 * ARGV: now, prefix, then per request: id, number of takes, per take: bucket, increment, tolerance, amount, window, is tokens (1 | 0).
 * Returns now, then per request: index of the refused take (0: none), per take the state (-1: never taken from).
 */
export const TAKE = `${PRELUDE}
local out = { now }
local p = 3
while p <= #ARGV do
  local rec = ARGV[2] .. 'r:' .. ARGV[p]
  local n = tonumber(ARGV[p + 1])
  p = p + 2
  local tats, refused = {}, 0
  for i = 0, n - 1 do
    local q = p + i * 6
    local tat = tat_of(ARGV[2] .. 'b:' .. ARGV[q])
    tats[i] = tat
    if refused == 0 and tat + tonumber(ARGV[q + 1]) - tonumber(ARGV[q + 2]) > now then refused = i + 1 end
  end
  if redis.call('EXISTS', rec) == 1 then
    refused = 0
  elseif refused == 0 then
    local done, til = { {} }, now + 10000000
    for i = 0, n - 1 do
      local q = p + i * 6
      local inc, window = tonumber(ARGV[q + 1]), tonumber(ARGV[q + 4])
      local key = ARGV[2] .. 'b:' .. ARGV[q]
      local tat = math.max(tats[i], now) + inc
      tats[i] = tat
      write_tat(key, tat, window)
      til = math.max(til, tat)
      done[i + 2] = { key, tat, inc, tonumber(ARGV[q + 5]), tonumber(ARGV[q + 3]), window }
    end
    redis.call('SET', rec, cmsgpack.pack(done), 'PX', math.ceil((til - now) / 1000))
  end
  out[#out + 1] = refused
  for i = 0, n - 1 do out[#out + 1] = tats[i] == -math.huge and -1 or tats[i] end
  p = p + n * 6
end
return out`;

/** ARGV: now, prefix, then ids. */
export const GIVE_BACK = `${PRELUDE}
for p = 3, #ARGV do
  local rec = ARGV[2] .. 'r:' .. ARGV[p]
  local packed = redis.call('GET', rec)
  if packed then
    local done = cmsgpack.unpack(packed)
    for i = 2, #done do back(done[i], done[i][3]) end
    redis.call('DEL', rec)
  end
end
return 0`;

/** ARGV: now, prefix, then per settlement: id, attempt, tokens. */
export const SETTLE = `${PRELUDE}
for p = 3, #ARGV, 3 do
  local rec = ARGV[2] .. 'r:' .. ARGV[p]
  local attempt, used = tonumber(ARGV[p + 1]), tonumber(ARGV[p + 2])
  local packed = redis.call('GET', rec)
  if packed then
    local done = cmsgpack.unpack(packed)
    local known = false
    for _, a in ipairs(done[1]) do known = known or a == attempt end
    if not known then
      local first = #done[1] == 0
      done[1][#done[1] + 1] = attempt
      for i = 2, #done do
        local b = done[i]
        if b[4] == 1 then
          local us = math.min(math.ceil(used * b[6] / b[5]), math.max(b[3], 2 * b[6]))
          if first then us = us - b[3] end
          if us < 0 then
            back(b, -us)
          elseif us > 0 then
            write_tat(b[1], math.max(tat_of(b[1]), now) + us, b[6])
          end
        end
      end
      redis.call('SET', rec, cmsgpack.pack(done), 'KEEPTTL')
    end
  end
end
return 0`;
