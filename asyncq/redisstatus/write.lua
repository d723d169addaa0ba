-- Writes a status. KEYS: its hash. ARGV: the version and the creation that are
-- replaced (both empty: there must be none), the new version and creation, the
-- token of this write, the record, the end in milliseconds (0: none).
local stored = redis.call('HMGET', KEYS[1], 'version', 'created', 'token')
-- The client sends a script again if the answer was lost. Then its own token is there.
if stored[3] == ARGV[5] then return 'ok' end
if ARGV[1] == '' then
  if stored[1] then return 'exists' end
else
  if not stored[1] then return 'missing' end
  if stored[1] ~= ARGV[1] or stored[2] ~= ARGV[2] then return 'conflict' end
end
redis.call('HSET', KEYS[1], 'version', ARGV[3], 'created', ARGV[4], 'token', ARGV[5], 'record', ARGV[6])
if ARGV[7] == '0' then
  redis.call('PERSIST', KEYS[1])
else
  redis.call('PEXPIREAT', KEYS[1], ARGV[7])
end
return 'ok'
