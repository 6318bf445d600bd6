/**
 * domain/gcra.ts in Lua, statement by statement, on Redis's clock (or on the one given, for the vectors). All numbers are whole
 * microseconds in doubles, as there. Slots are sorted sets of who holds one, by when its lease is over. What a request took is remembered
 * under its id, packed: { settled attempts, { key, state after the take, increment, kind, amount, window, given back before it } … }. A
 * bucket is its state and, behind a space, what it was given back in all.
 * Kinds: 0 requests, 1 tokens, 2 input tokens, 3 output tokens, 4 a slot.
 */
const PRELUDE = `
local now = tonumber(ARGV[1])
if now == 0 then
  local t = redis.call('TIME')
  now = tonumber(t[1]) * 1000000 + tonumber(t[2])
end
local function whole(n) return string.format('%.0f', n) end
local function bucket_of(key)
  local v = redis.call('GET', key)
  if not v then return -math.huge, 0 end
  local tat, given = string.match(v, '^(%S+) ?(%S*)$')
  return tonumber(tat), tonumber(given) or 0
end
local function tat_of(key)
  local tat = bucket_of(key)
  return tat
end
local function write_tat(key, tat, window, given)
  local v = whole(tat)
  if given > 0 then v = v .. ' ' .. whole(given) end
  redis.call('SET', key, v, 'PX', math.max(1, math.ceil((tat + window - now) / 1000)))
end
local function slots_of(key)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', whole(now))
  return redis.call('ZCARD', key)
end
local function hold_slot(key, id, lease)
  redis.call('ZADD', key, whole(now + lease), id)
  redis.call('PEXPIRE', key, math.ceil(lease / 1000))
end
local function back(b, wanted)
  local tat, given = bucket_of(b[1])
  if tat == -math.huge then return end
  local us = math.min(wanted, math.max(0, b[2] - math.max(0, given - b[7]) - now))
  if us <= 0 then return end
  write_tat(b[1], tat - us, b[6], given + us)
  b[2] = b[2] - us
  b[7] = b[7] + us
end
`;

/**
 * ARGV: now, prefix, lease, shortest and longest memory, then per request: id, number of takes, per take: bucket, kind, and of a rate
 * increment, tolerance, amount, window; of a slot capacity and three zeros.
 * Returns now, then per request: index of the refused take (0: none), per take the state (-1: never taken from).
 */
export const TAKE = `${PRELUDE}
local prefix, lease = ARGV[2], tonumber(ARGV[3])
local out = { now }
local p = 6
while p <= #ARGV do
  local id = ARGV[p]
  local rec = prefix .. 'r:' .. id
  local n = tonumber(ARGV[p + 1])
  p = p + 2
  local states, refused = {}, 0
  for i = 0, n - 1 do
    local q = p + i * 6
    local fits
    if ARGV[q + 1] == '4' then
      states[i] = slots_of(prefix .. 's:' .. ARGV[q])
      fits = states[i] < tonumber(ARGV[q + 2])
    else
      states[i] = tat_of(prefix .. 'b:' .. ARGV[q])
      fits = states[i] + tonumber(ARGV[q + 2]) - tonumber(ARGV[q + 3]) <= now
    end
    if refused == 0 and not fits then refused = i + 1 end
  end
  if redis.call('EXISTS', rec) == 1 then
    refused = 0
  elseif refused == 0 then
    local done, til = { {} }, now + tonumber(ARGV[4])
    for i = 0, n - 1 do
      local q = p + i * 6
      local kind = tonumber(ARGV[q + 1])
      if kind == 4 then
        local key = prefix .. 's:' .. ARGV[q]
        hold_slot(key, id, lease)
        states[i] = states[i] + 1
        til = math.max(til, now + 2 * lease)
        done[i + 2] = { key, 0, 0, 4, 0, 0, 0 }
      else
        local key = prefix .. 'b:' .. ARGV[q]
        local inc, window = tonumber(ARGV[q + 2]), tonumber(ARGV[q + 5])
        local tat = math.max(states[i], now) + inc
        local _, given = bucket_of(key)
        states[i] = tat
        write_tat(key, tat, window, given)
        til = math.max(til, math.min(tat, now + tonumber(ARGV[5])))
        done[i + 2] = { key, tat, inc, kind, tonumber(ARGV[q + 4]), window, given }
      end
    end
    redis.call('SET', rec, cmsgpack.pack(done), 'PX', math.ceil((til - now) / 1000))
  end
  out[#out + 1] = refused
  for i = 0, n - 1 do out[#out + 1] = states[i] == -math.huge and -1 or states[i] end
  p = p + n * 6
end
return out`;

/** ARGV: now, prefix, then per take: bucket, kind. Returns now, then per take the state as TAKE does. Takes nothing. */
export const PEEK = `${PRELUDE}
local out = { now }
for p = 3, #ARGV, 2 do
  local state
  if ARGV[p + 1] == '4' then state = slots_of(ARGV[2] .. 's:' .. ARGV[p]) else state = tat_of(ARGV[2] .. 'b:' .. ARGV[p]) end
  out[#out + 1] = state == -math.huge and -1 or state
end
return out`;

/** ARGV: now, prefix, then ids. */
export const GIVE_BACK = `${PRELUDE}
for p = 3, #ARGV do
  local rec = ARGV[2] .. 'r:' .. ARGV[p]
  local packed = redis.call('GET', rec)
  if packed then
    local done = cmsgpack.unpack(packed)
    for i = 2, #done do
      if done[i][4] == 4 then redis.call('ZREM', done[i][1], ARGV[p]) else back(done[i], done[i][3]) end
    end
    redis.call('DEL', rec)
  end
end
return 0`;

/** ARGV: now, prefix, then per use: id, attempt, all tokens, input tokens, output tokens (-1: unknown), whether it is over (1 | 0). */
export const SETTLE = `${PRELUDE}
for p = 3, #ARGV, 6 do
  local id, attempt, over = ARGV[p], tonumber(ARGV[p + 1]), ARGV[p + 5] == '1'
  local used = { tonumber(ARGV[p + 2]), tonumber(ARGV[p + 3]), tonumber(ARGV[p + 4]) }
  local rec = ARGV[2] .. 'r:' .. id
  local packed = redis.call('GET', rec)
  if packed then
    local done = cmsgpack.unpack(packed)
    local known = used[1] < 0
    for _, a in ipairs(done[1]) do known = known or a == attempt end
    local first = #done[1] == 0
    if not known then done[1][#done[1] + 1] = attempt end
    local kept = { done[1] }
    for i = 2, #done do
      local b = done[i]
      local kind = b[4]
      local free = kind == 4 and over
      if free then
        redis.call('ZREM', b[1], id)
      elseif not known and kind > 0 and kind < 4 and used[kind] >= 0 then
        local us = math.min(math.ceil(used[kind] * b[6] / b[5]), math.max(b[3], 2 * b[6]))
        if first then us = us - b[3] end
        if us < 0 then
          back(b, -us)
        elseif us > 0 then
          local tat, given = bucket_of(b[1])
          write_tat(b[1], math.max(tat, now) + us, b[6], given)
        end
      end
      -- A slot that is free is forgotten, so that a late renewal does not take it again.
      if not free then kept[#kept + 1] = b end
    end
    redis.call('SET', rec, cmsgpack.pack(kept), 'KEEPTTL')
  end
end
return 0`;

/** ARGV: now, prefix, lease, then ids. */
export const RENEW = `${PRELUDE}
local lease = tonumber(ARGV[3])
for p = 4, #ARGV do
  local rec = ARGV[2] .. 'r:' .. ARGV[p]
  local packed = redis.call('GET', rec)
  if packed then
    local holds = false
    local done = cmsgpack.unpack(packed)
    for i = 2, #done do
      if done[i][4] == 4 then
        hold_slot(done[i][1], ARGV[p], lease)
        holds = true
      end
    end
    local longest = math.ceil(2 * lease / 1000)
    if holds and redis.call('PTTL', rec) < longest then redis.call('PEXPIRE', rec, longest) end
  end
end
return 0`;

/** ARGV: now, key, who, for how long in microseconds. Returns how many said so lately. */
export const BEAT = `${PRELUDE}
redis.call('ZADD', ARGV[2], whole(now + tonumber(ARGV[4])), ARGV[3])
redis.call('PEXPIRE', ARGV[2], math.ceil(tonumber(ARGV[4]) / 1000))
return slots_of(ARGV[2])`;
