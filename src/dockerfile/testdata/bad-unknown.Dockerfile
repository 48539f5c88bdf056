FROM x
  CPOY a b
