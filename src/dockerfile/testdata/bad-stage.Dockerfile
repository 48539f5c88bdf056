FROM x AS 1st
