import { isStaff, useMe } from '../api/me';
import { Federation } from './Federation';
import { MyRegions } from './MyRegions';

export function RegionsPage() {
  const me = useMe();
  return (
    <div className="space-y-8">
      <title>{me.tenant ? `Regions · ${me.tenant.name} · Exarch` : 'Regions · Exarch'}</title>
      <MyRegions />
      {isStaff(me) && <Federation />}
    </div>
  );
}
